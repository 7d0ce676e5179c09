// The same program as C++20: the headers and the calls must mean the same.
#include "consumer.c"
