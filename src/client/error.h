/* error: maps the broker's codes (base/err.h) to the public ones of baton.h. */
#pragma once

/* The public code for a wire error, given as a positive or negative enum err. */
int error_public(int err);
