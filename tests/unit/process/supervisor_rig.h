/*
 * What the tests of the supervisor share: each has its own directory and its own holdfastd, whose children are
 * fake_child.
 */
#ifndef TESTS_UNIT_PROCESS_SUPERVISOR_RIG_H
#define TESTS_UNIT_PROCESS_SUPERVISOR_RIG_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/process/status_client.h"

extern pid_t supervisor; /* 0: none runs */
extern int file_poll_ms; /* of the configuration written next */

void setup(void);
void teardown(void);
/* Starts holdfastd on what was put into the directory. */
void start(void);
/* Waits for its end; the status as of waitpid(). */
int wait_end(int most_ms);

/* The path of a name in the test's directory; good until the fourth call after. */
char *in_dir(const char *name);
/* Writes a file there. */
void put(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Writes the configuration, `extra` last. */
void put_config(const char *extra);

/* As the pid file says; 0: there is none. */
pid_t pid_of(const char *name);
/* Is the value in the status, by path, "workers.0.state", this text or number? */
bool is(const char *path, const char *wanted);
/* Waits until the value is as wanted; the time it took in ms. */
int64_t wait_for(const char *path, const char *wanted, int most_ms);

bool logged(const char *text);
unsigned count_logged(const char *text);
void show_log(void);

TCase *children_tests(void);
TCase *systemd_tests(void);

#endif
