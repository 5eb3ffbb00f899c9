/* terminal_kind: asks terminfo before ncurses does, which leaks when the answer is no. A file of
 * its own, for <term.h> defines words such as "columns" as macros. */
#include "cli/terminal_kind.h"

#include <ncurses.h>
#include <term.h>
#include <unistd.h>

bool terminal_kind_known(void)
{
	int error;
	if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
		return false;
	(void)del_curterm(cur_term);
	return true;
}
