/* The entry point. Embedded Swift has no CommandLine, so the words of the call come in here. */
int pram_verify_main(int count, char **words);

int main(int count, char **words) { return pram_verify_main(count, words); }
