namespace CancelService.Harness;

/// <summary>
/// A PostgreSQL server of one's own that may be killed and started again: a container, or the machine's own PostgreSQL
/// programs. Either serves where the other is missing. Programs come first for a durable one, which tests kill: a process is
/// back sooner than a container. CANCELSERVICE_POSTGRES_IMAGE names the image; where CANCELSERVICE_POSTGRES_PROGRAMS names a
/// directory of programs, those alone are used.
/// </summary>
public abstract class PostgresCluster : IAsyncDisposable
{
    /// <summary>How the database <c>postgres</c> is reached; the same after a restart.</summary>
    public abstract string ConnectionString { get; }

    /// <summary>Creates a cluster and starts it. A durable one keeps every commit over a kill and a power cut.</summary>
    /// <exception cref="InvalidOperationException">It could not be started; the message says why, and what helps.</exception>
    public static async Task<PostgresCluster> Start(bool durable, params string[] settings)
    {
        var (programs, container) = (
            Way("PostgreSQL's programs", async () => await PostgresPrograms.Start(durable, settings)),
            Way(
                $"a container of {PostgresContainer.Image}",
                async () => await PostgresContainer.Start(durable, settings)
            )
        );
        var reasons = new List<string>();
        foreach (
            var (name, start) in PostgresPrograms.Named is not null ? [programs]
            : durable ? [programs, container]
            : new[] { container, programs }
        )
        {
            try
            {
                return await start();
            }
            catch (Exception e) // Whatever keeps one way from working, the next is tried, and all reasons are told.
            {
                reasons.Add($"{name}: {e.Message}");
            }
        }
        throw new InvalidOperationException(
            $"""
            The tests need PostgreSQL. Start a Docker engine that can get the image {PostgresContainer.Image}
            (CANCELSERVICE_POSTGRES_IMAGE names another), or install PostgreSQL's server programs (Debian: apt-get install
            postgresql; CANCELSERVICE_POSTGRES_PROGRAMS names their directory). What was tried:
            {string.Join('\n', reasons)}
            """
        );

        static (string Name, Func<Task<PostgresCluster>> Start) Way(string name, Func<Task<PostgresCluster>> start) =>
            (name, start);
    }

    /// <summary>Starts the server where it was killed, and waits until it has recovered.</summary>
    public abstract Task Start();

    /// <summary>Kills the server and all its processes with SIGKILL, and waits until they are gone.</summary>
    public abstract Task Kill();

    /// <summary>Stops the server and removes its data.</summary>
    public abstract ValueTask DisposeAsync();

    /// <summary>The server's arguments.</summary>
    private protected static IEnumerable<string> Arguments(bool durable, params IEnumerable<string> settings)
    {
        var writes = durable ? "on" : "off";
        return new[] { "max_connections=300", $"fsync={writes}", $"full_page_writes={writes}" }
            .Concat(settings)
            .SelectMany(setting => new[] { "-c", setting });
    }
}
