/* terminal_kind: whether terminfo knows the terminal that TERM names. */
#pragma once
#include <stdbool.h>

bool terminal_kind_known(void);
