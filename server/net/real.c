/* The true engine behind the interface that net uses; tests put their own in its place. */
#include "server/net/net.h"

static rc_t login(void *engine, struct session *s, engine_login_fn *done, void *arg)
{
    return engine_login(engine, s, done, arg);
}

static struct engine_request *submit(void *engine, struct session *s, struct buf *request,
                                     engine_answer_fn *done, void *arg)
{
    return engine_submit(engine, s, request, done, arg);
}

struct net_engine net_engine_real(struct engine *engine)
{
    return (struct net_engine){
        .engine = engine,
        .session_new = session_new,
        .session_add_name = session_add_name,
        .session_drop = session_drop,
        .login = login,
        .submit = submit,
        .abandon = engine_abandon,
    };
}
