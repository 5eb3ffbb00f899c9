/* notify: tells whoever started the daemon how it stands: systemd by $NOTIFY_SOCKET (sd_notify(3)),
 * any other supervisor or script by a descriptor. */
#pragma once

enum notify_state {
	NOTIFY_READY,     /* it listens; also after a reload */
	NOTIFY_RELOADING, /* followed by NOTIFY_READY, whatever came of it */
	NOTIFY_STOPPING,
};

/* `status` is one line for `systemctl status`; NULL: none. Never waits, and does nothing where
 * nobody listens. */
void notify_send(enum notify_state state, const char *status);
/* Writes `line` and a newline to the descriptor and closes it, unless it is a standard one. -1:
 * nothing. */
void notify_descriptor(int fd, const char *line);
