/* error: the public codes of baton.h beside the broker's own (base/err.h). */
#pragma once

/* The public code for a wire error, given as a positive or negative enum err. */
int error_public(int err);
