/* A program that is nothing but `baton replay`, so that its tests need no daemon's libraries. */
#include "replay/replay.h"

int main(int argc, char **argv)
{
	return replay_main(argc, argv);
}
