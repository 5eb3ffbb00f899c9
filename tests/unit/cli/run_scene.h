/* run_scene: `baton run` in a process of its own, against the scripted broker. Everything has a
 * deadline. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fake_broker.h"

struct scene {
	struct fake fake;
	pid_t pid;
	int out_fd, err_fd, tty_fd; /* -1: none */
	char out[8192];
	size_t out_length;
};

#define GPU "'gpus':[{'index':0,'name':'gpu0','uuid':'GPU-1'}]"

/* For cmocka; the scene is *state. */
int setup(void **state);
int teardown(void **state);
void close_all(struct scene *scene);
/* Starts `baton run WORDS`, ended by NULL. */
void start(struct scene *scene, int with_tty, ...);
void welcome(struct scene *scene);
/* Welcome, offer, and lease 7 with fence 100. */
void grant(struct scene *scene);
int64_t now_ms(void);
/* Reads what the command prints until `text` is in it. */
void wait_output(struct scene *scene, const char *text);
/* The status of waitpid. Answers nothing meanwhile. */
int wait_end(struct scene *scene);
bool died_of(struct scene *scene, int signo);
void ends_with(struct scene *scene, int code);
bool is_alive(pid_t pid);
void wait_dead(pid_t pid);
/* In what the command printed. */
pid_t number_after(const struct scene *scene, const char *word);
