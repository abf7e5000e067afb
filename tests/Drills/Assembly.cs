// A drill waits most of its time: for a scrape, an evaluation, an end.
[assembly: Xunit.v3.Parallelization(MaxThreads = 4)]
