/* startup: from a command line to a broker that is ready to serve. */
#pragma once
#include <stddef.h>

struct server;

/* Reads options, files and the journal, restores the core, opens the listeners. 0 or a negative
 * enum err; `detail` then says what to do. startup_end undoes whatever was done. */
int startup_begin(struct server *server, int argc, char **argv, char *detail, size_t detail_size);
void startup_end(struct server *server);
