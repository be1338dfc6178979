/* A crew: what it takes, in which order it hands back, and how it ends. */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/vault/crew.h"
#include "tests/unit/vault/vault_tests.h"

struct errand {
    struct crew_job link;
    int number;
    bool held; /* not to begin yet */
};

static struct crew crew;
static int worked, begun, ended, freed; /* the first by the one thread, read when it is done */

static void work(void *owner, void *job)
{
    worked += owner == &crew ? ((struct errand *)job)->number : 1000;
}

static void count_begun(void *owner, void *job)
{
    (void)owner, (void)job;
    begun++;
}

static void count_ended(void *owner, void *job)
{
    (void)owner, (void)job;
    ended++;
}

static void *choose_free(void *owner)
{
    (void)owner;
    struct crew_job *j = crew.waiting;
    while (j && ((struct errand *)j)->held)
        j = j->next;
    return j;
}

static void free_errand(void *job)
{
    freed++;
    free(job);
}

static const struct crew_rules plain = {
    .work = work, .begun = count_begun, .ended = count_ended, .free = free_errand, .nice = 1};
static const struct crew_rules choosy = {.work = work, .choose = choose_free, .free = free_errand};

static void begin(const struct crew_rules *rules, size_t most)
{
    worked = begun = ended = freed = 0;
    ck_assert_int_eq(crew_init(&crew, rules, &crew, 1, most), RC_OK);
}

static rc_t add(int number, bool held)
{
    struct errand *e = calloc(1, sizeof *e);
    ck_assert_ptr_nonnull(e);
    e->number = number;
    e->held = held;
    pthread_mutex_lock(&crew.lock);
    rc_t rc = crew_add(&crew, &e->link);
    pthread_mutex_unlock(&crew.lock);
    if (rc != RC_OK)
        free(e);
    return rc;
}

/* The number of the next that is done; 0: none by then. */
static int next_done(int ms)
{
    struct pollfd p = {.fd = crew.wake_fd, .events = POLLIN};
    struct errand *e = crew_take(&crew);
    uint64_t count;
    while (!e && poll(&p, 1, ms) == 1 && read(crew.wake_fd, &count, sizeof count) > 0)
        e = crew_take(&crew);
    int number = e ? e->number : 0;
    free(e);
    return number;
}

START_TEST(the_oldest_first_and_no_more_than_it_holds)
{
    begin(&plain, 3);
    for (int i = 1; i <= 3; i++)
        ck_assert_int_eq(add(i, false), RC_OK);
    ck_assert_int_eq(add(4, false), RC_BUSY);
    ck_assert_int_eq(next_done(50), 0); /* nobody works yet */
    ck_assert_int_eq(crew_start(&crew), RC_OK);
    for (int i = 1; i <= 3; i++)
        ck_assert_int_eq(next_done(10000), i);
    pthread_mutex_lock(&crew.lock);
    ck_assert_int_eq(worked, 6);
    ck_assert_int_eq(begun, 3);
    ck_assert_int_eq(ended, 3);
    ck_assert_uint_eq(crew.count, 0);
    pthread_mutex_unlock(&crew.lock);
    ck_assert_int_eq(add(4, false), RC_OK); /* done ones take no place */
    ck_assert_int_eq(next_done(10000), 4);
    crew_free(&crew);
    ck_assert_int_eq(freed, 0);
}
END_TEST

START_TEST(the_owner_chooses_and_the_end_frees_what_is_left)
{
    begin(&choosy, 8);
    ck_assert_int_eq(add(1, true), RC_OK);
    ck_assert_int_eq(add(2, false), RC_OK);
    ck_assert_int_eq(crew_start(&crew), RC_OK);
    ck_assert_int_eq(next_done(10000), 2);
    ck_assert_int_eq(next_done(50), 0); /* the first may not begin */
    ck_assert_int_eq(add(3, false), RC_OK);
    crew_free(&crew);
    ck_assert_int_eq(freed, 2); /* the held one, and the third, done or not */
}
END_TEST

TCase *crew_tests(void)
{
    TCase *tc = tcase_create("crew");
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, the_oldest_first_and_no_more_than_it_holds);
    tcase_add_test(tc, the_owner_chooses_and_the_end_frees_what_is_left);
    return tc;
}
