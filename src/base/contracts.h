/* contracts: the intent of an assert, by name. PRE is what a caller owes, POST what a function
 * promises, INVARIANT what always holds. One condition each, no side effects, always on. */
#pragma once
#include <assert.h>

#ifdef NDEBUG
#error "Baton is built with its asserts on: they are part of what it promises."
#endif

#define PRE(cond)       assert(cond)
#define POST(cond)      assert(cond)
#define INVARIANT(cond) assert(cond)
