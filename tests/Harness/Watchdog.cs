using System.Diagnostics;

namespace CancelService.Harness;

/// <summary>
/// Cleans up when this process ends, even when it is killed: stops the servers in the watched directories and removes
/// the directories. It notices the end by a pipe that only this process holds open.
/// </summary>
internal static class Watchdog
{
    // Job control gives the loop a process group of its own and init as its parent, so killing the tests' group or
    // descendants spares it. A paused server must be continued (CONT), or it would not stop. A pg_ctl that outlived the
    // tests may still start a server, so each directory is tried for some seconds.
    private const string Script = """
        set -m
        exec 3<&0 >/dev/null 2>&1
        (
            trap '' HUP INT TERM
            directories=()
            while read -r directory <&3; do directories+=("$directory"); done
            for attempt in 1 2 3 4 5 6 7 8 9 10; do
                for directory in "${directories[@]}"; do
                    for file in "$directory"/postmaster.pid "$directory"/*/postmaster.pid; do
                        [ -f "$file" ] || continue
                        server=$(head -n 1 "$file")
                        kill -CONT "$server" $(pgrep -P "$server")
                        "$PROGRAMS/pg_ctl" stop -D "${file%/*}" -m immediate -t 10 ||
                            kill -KILL "$server" $(pgrep -P "$server")
                    done
                    [ $attempt = 1 ] || rm -rf "$directory"
                done
                sleep 0.3
            done
        ) &
        """;

    private static readonly Lazy<Task<Process>> Started = new(Start);
    private static readonly SemaphoreSlim Writing = new(1, 1);

    /// <summary>Watches a directory from before it exists; a removed one costs nothing.</summary>
    public static async Task Watch(string directory)
    {
        var watchdog = await Started.Value;
        await Writing.WaitAsync();
        try
        {
            await watchdog.StandardInput.WriteAsync($"{directory}\n");
            await watchdog.StandardInput.FlushAsync();
        }
        finally
        {
            Writing.Release();
        }
    }

    // Runs as the owner of the servers, who may stop them.
    private static async Task<Process> Start()
    {
        string[] command = [.. PostgresPrograms.AsPostgres, "bash", "-c", Script];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        start.Environment["PROGRAMS"] = await PostgresPrograms.FindPrograms();
        var process = Process.Start(start)!;
        await process.WaitForExitAsync(); // The loop goes on without it.
        return process;
    }
}
