using CancelService.Api.Commands;
using CancelService.Api.Hosting;

namespace CancelService.Api;

/// <summary>The process: serves, or carries out one command and exits.</summary>
public static class Program
{
    /// <summary>Serves without a command, or carries out the command on the line; <c>--help</c> lists them.</summary>
    /// <returns>
    /// 0, or 1 when a setting is wrong or the command fails; standard error has the reason. For <c>verify-ledger</c>,
    /// <c>find-lost</c> and <c>diagnose</c>, 1 means findings, and 2 that there is no verdict. 64 is a usage error.
    /// </returns>
    public static Task<int> Main(string[] args) => Run(args);

    /// <summary>
    /// Serves or carries out a command, with the same exit codes as <see cref="Main"/>, for a host that adds to the
    /// service.
    /// </summary>
    public static Task<int> Run(string[] args, params IHostExtension[] extensions) =>
        CommandLine.Run(
            args,
            settings => ServiceHost.Build(settings, OpenApi.IsBuilding ? OpenApi.OnlyDescribe : null, extensions),
            Console.Out,
            Console.Error
        );
}
