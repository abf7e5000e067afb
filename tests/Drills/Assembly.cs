using System.Runtime.CompilerServices;

// A drill waits most of its time: for a scrape, an evaluation, an end.
[assembly: Xunit.v3.Parallelization(MaxThreads = 6)]

namespace CancelService.Drills;

internal static class Assembly
{
    // What a drill starts ends soon. Otherwise the runtime spends a fifth of the processor on compiling again what is hot.
    [ModuleInitializer]
    public static void CompileOnce() => Environment.SetEnvironmentVariable("DOTNET_TC_CallCounting", "0");
}
