using System.Runtime.CompilerServices;

// A drill mostly waits for scrapes, rule evaluations and timeouts, so more drills than cores can run.
[assembly: Xunit.v3.Parallelization(MaxThreads = 6)]

namespace CancelService.Drills;

internal static class Assembly
{
    // A drill's processes are short-lived: without this setting, recompiling hot methods takes a fifth of the
    // processor.
    [ModuleInitializer]
    public static void CompileOnce() => Environment.SetEnvironmentVariable("DOTNET_TC_CallCounting", "0");
}
