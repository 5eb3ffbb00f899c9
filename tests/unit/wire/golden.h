/* golden: compares text with a file of tests/unit/wire/golden, byte by byte. With
 * BATON_GOLDEN_WRITE=1 in the environment the files are written instead: look at the diff. */
#pragma once

/* Fails the test at the caller's place. The file ends with one newline that `text` has not. */
void golden_check(const char *name, const char *text);
/* The file's text without the newline; the caller frees. */
char *golden_read(const char *name);
