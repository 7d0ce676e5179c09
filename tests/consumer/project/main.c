#include "../consumer.c"
