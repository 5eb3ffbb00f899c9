/* pages: asks the broker for a link to its own pages. Needs no lease and changes none. */
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "client/session.h"
#include "wire/client_encode.h"

int baton_page_link(struct baton *baton, char *ret_url, size_t size)
{
	pthread_mutex_lock(&baton->lock);
	int rc = baton->state == SESSION_UP ? 0 : BATON_E_UNREACHABLE;
	struct mono_ms deadline = mono_after(client_now(), baton->connect_timeout_ms);
	baton->link_code = 1; /* asked */

	if (rc == 0) {
		client_encode_open(&baton->out);
		client_send(baton);
	}
	pthread_mutex_unlock(&baton->lock);

	while (rc == 0) {
		int64_t left = mono_since(deadline, client_now());
		rc = baton_dispatch(baton, left > 0 ? (int)left : 0);
		if (rc > 0)
			rc = 0; /* handlers were called */

		pthread_mutex_lock(&baton->lock);
		int code = baton->link_code;
		size_t length = strnlen(baton->link_url, sizeof(baton->link_url) - 1);
		if (rc == 0 && code == 0 && length >= size)
			rc = BATON_E_INVALID;
		else if (rc == 0 && code == 0)
			memcpy(ret_url, baton->link_url, length + 1);

		pthread_mutex_unlock(&baton->lock);
		if (code <= 0)
			return rc < 0 ? rc : code;
		if (rc == 0 && mono_due(deadline, client_now()))
			rc = BATON_E_TIMEOUT;
	}
	return rc;
}
