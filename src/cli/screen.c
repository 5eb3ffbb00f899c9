/* screen: ncurses, begun, ended and told of signals in one place. It decides nothing about what is
 * shown. */
#include "cli/screen.h"

#include <fcntl.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/terminal_kind.h"
#include "cli/text_table.h"

enum { RESTORE_BYTES = 128, RUN_CHARACTERS = 256, PATIENCE_MS = 200 };

/* What a crash still has to write: a handler may neither ask terminfo nor allocate. */
static char restore_text[RESTORE_BYTES];
static size_t restore_length;
static struct termios modes_before;
static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { FATAL_COUNT = sizeof(fatal_signals) / sizeof(*fatal_signals) };
static struct sigaction handlers_before[FATAL_COUNT];
static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { ENDING_COUNT = sizeof(ending_signals) / sizeof(*ending_signals) };
static volatile sig_atomic_t told_to_end;
static bool is_on;

bool screen_possible(void)
{
	const char *term = getenv("TERM");
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term &&
	       strcmp(term, "dumb") != 0;
}

/* ---- a crash ---- */

/* Adds what terminfo says, without its delays ("$<5>"). */
static void collect_sequence(const char *capability)
{
	const char *c = tigetstr(capability);
	if (!c || c == (const char *)-1)
		return;

	while (*c && restore_length < sizeof(restore_text)) {
		const char *end = c[0] == '$' && c[1] == '<' ? strchr(c, '>') : NULL;
		if (!end)
			restore_text[restore_length++] = *c;
		c = end ? end + 1 : c + 1;
	}
}

static void restore_and_die(int signo)
{
	ssize_t written = write(STDOUT_FILENO, restore_text, restore_length);
	(void)written;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &modes_before);

	for (size_t i = 0; i < FATAL_COUNT; i++)
		(void)sigaction(fatal_signals[i], &handlers_before[i], NULL);
	(void)raise(signo); /* comes when this handler returns */
}

static void guard_terminal(void)
{
	struct sigaction act = {.sa_handler = restore_and_die};
	restore_length = 0;
	collect_sequence("sgr0");
	collect_sequence("cnorm");
	collect_sequence("rmkx");
	collect_sequence("rmcup");

	for (size_t i = 0; i < FATAL_COUNT; i++)
		(void)sigaction(fatal_signals[i], &act, &handlers_before[i]);
}

/* ---- an end while nobody takes what is written ---- */

static bool is_taken(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
	return poll(&out, 1, PATIENCE_MS) != 0;
}

/* Whoever typed Ctrl-S is no reason to stay. Only what a handler may call. */
static bool is_taken_at_last(void)
{
	if (is_taken())
		return true;
	(void)tcflow(STDOUT_FILENO, TCOOFF); /* Linux undoes no more than what was done so */
	(void)tcflow(STDOUT_FILENO, TCOON);
	return is_taken();
}

/* As well as it can be done without waiting. */
static void leave_blocked(void)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	(void)fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK);
	ssize_t written = write(STDOUT_FILENO, restore_text, restore_length);
	(void)written;
	(void)fcntl(STDOUT_FILENO, F_SETFL, flags);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &modes_before);
}

/* Comes in the middle of a write, which goes on where that is possible. */
static void end_or_note(int signo)
{
	(void)signo;
	told_to_end = 1;
	if (is_taken_at_last())
		return;
	if (is_on)
		leave_blocked();
	_exit(0);
}

static void fill_ending(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < ENDING_COUNT; i++)
		sigaddset(set, ending_signals[i]);
}

void screen_write_begin(void)
{
	sigset_t set;
	fill_ending(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

bool screen_write_end(void)
{
	sigset_t set;
	fill_ending(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return !told_to_end;
}

/* What our parent ignores (nohup, a job in the background) stays ignored. */
static void handle_ending(void)
{
	struct sigaction before, act = {.sa_handler = end_or_note, .sa_flags = SA_RESTART};
	for (size_t i = 0; i < ENDING_COUNT; i++)
		if (sigaction(ending_signals[i], NULL, &before) == 0 &&
		    before.sa_handler != SIG_IGN)
			(void)sigaction(ending_signals[i], &act, NULL);
}

/* ---- begin and end ---- */

bool screen_begin(void)
{
	(void)tcgetattr(STDIN_FILENO, &modes_before);
	if (!terminal_kind_known() || !newterm(NULL, stdout, stdin))
		return false;

	guard_terminal();
	is_on = true;
	cbreak();
	noecho();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);

	const char *no_color = getenv("NO_COLOR");
	if (has_colors() && !(no_color && *no_color)) {
		start_color();
		use_default_colors();
		init_pair(STYLE_GOOD, COLOR_GREEN, -1);
		init_pair(STYLE_WARN, COLOR_YELLOW, -1);
		init_pair(STYLE_BAD, COLOR_RED, -1);
	}
	return true;
}

void screen_end(void)
{
	if (told_to_end && !is_taken_at_last()) {
		leave_blocked();
	} else {
		screen_write_begin();
		curs_set(1);
		endwin();
		(void)screen_write_end();
	}

	is_on = false;
	for (size_t i = 0; i < FATAL_COUNT; i++)
		(void)sigaction(fatal_signals[i], &handlers_before[i], NULL);
}

/* ---- signals ---- */

int screen_catch_signals(bool resize)
{
	sigset_t set;
	handle_ending();
	fill_ending(&set);
	if (resize) {
		sigaddset(&set, SIGWINCH);
		sigaddset(&set, SIGTSTP);
		sigaddset(&set, SIGCONT);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Gives the terminal back, stops as the user asked, and comes back with everything drawn anew. */
static void stop_here(void)
{
	sigset_t set;
	struct sigaction stop = {.sa_handler = SIG_DFL}, before;
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);

	curs_set(1);
	endwin();
	(void)sigaction(SIGTSTP, &stop, &before);
	(void)raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* it stops in here */
	sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(SIGTSTP, &before, NULL);
	curs_set(0);
}

bool screen_take_signal(int signal_fd, bool screen_on)
{
	struct signalfd_siginfo info;
	if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
		return true;

	bool stop = info.ssi_signo == SIGTSTP;
	if (!stop && info.ssi_signo != SIGWINCH && info.ssi_signo != SIGCONT) {
		told_to_end = 1;
		return false;
	}
	if (!screen_on)
		return true;

	screen_write_begin();
	if (stop)
		stop_here();
	else
		endwin(); /* makes ncurses ask for the size again */
	refresh();
	clearok(curscr, TRUE);
	return screen_write_end();
}

/* ---- lines ---- */

static int style_attribute(char style)
{
	switch (style) {
	case STYLE_BOLD:
		return A_BOLD;
	case STYLE_DIM:
		return A_DIM;
	case STYLE_GOOD:
		return COLOR_PAIR(STYLE_GOOD);
	case STYLE_WARN:
		return COLOR_PAIR(STYLE_WARN);
	case STYLE_BAD:
		return COLOR_PAIR(STYLE_BAD) | A_BOLD;
	case STYLE_MARK:
		return A_REVERSE;
	default:
		return A_NORMAL;
	}
}

/* The next character that may be shown, and its bytes. */
static wchar_t next_character(const char *text, size_t *ret_bytes, int *ret_columns)
{
	mbstate_t state = {0};
	wchar_t wide;
	size_t bytes = mbrtowc(&wide, text, strlen(text), &state);
	if (bytes == 0 || bytes >= (size_t)-2) {
		wide = L'?';
		bytes = 1;
		while (((unsigned char)text[bytes] & 0xc0) == 0x80)
			bytes++;
	}

	*ret_bytes = bytes;
	*ret_columns = wcwidth(wide);
	if (*ret_columns < 0) {
		wide = L'?';
		*ret_columns = 1;
	}
	return wide;
}

void screen_line(int y, int width, const char *text)
{
	wchar_t run[RUN_CHARACTERS];
	int x = 0, length = 0, at = 0, columns;
	size_t bytes;
	attrset(A_NORMAL);

	for (; *text; text += bytes) {
		bool style = *text > 0 && *text < STYLE_END;
		if (style || length == RUN_CHARACTERS) {
			mvaddnwstr(y, at, run, length);
			length = 0;
			at = x;
		}
		if (style) {
			attrset((attr_t)style_attribute(*text));
			bytes = 1;
			continue;
		}

		wchar_t wide = next_character(text, &bytes, &columns);
		if (x + columns > width)
			break;
		run[length++] = wide;
		x += columns;
	}
	mvaddnwstr(y, at, run, length);
}
