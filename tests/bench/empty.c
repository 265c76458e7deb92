/* The least that a preloaded object can do. */
int vrfbench_empty;
