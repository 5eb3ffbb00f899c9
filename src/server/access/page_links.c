/* page_links: see page_links.h. A link is spent in pages/pages_sign_in.c. */
#include "server/access/page_links.h"

#include <string.h>

#include "base/text.h"
#include "net/loop.h"
#include "server/access/credentials.h"
#include "server/random_pool.h"

void page_links_write(const struct page_links *links, struct text *out)
{
	uint8_t random[32];

	random_fill(links->random, random, sizeof(random));
	text_format(out, "%s/?open=%s", links->home,
		    page_link_new(links->keys, random, loop_now()));
	explicit_bzero(random, sizeof(random));
}
