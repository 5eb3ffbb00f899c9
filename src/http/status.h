/* status: the words behind a status code. */
#pragma once

const char *http_status_text(int status); /* "Status" for one that Baton never sends */
