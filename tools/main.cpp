// The `cameo` command line: one subcommand per file beside this one.
int main() { return 0; }
