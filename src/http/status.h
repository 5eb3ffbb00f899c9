/* status: the reason phrases of status codes. */
#pragma once

const char *http_status_text(int status); /* "Status" for one that Baton never sends */
