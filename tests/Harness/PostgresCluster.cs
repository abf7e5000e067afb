namespace CancelService.Harness;

/// <summary>
/// A private PostgreSQL server that a test can kill and start again. It runs in a container or from the machine's
/// PostgreSQL programs, whichever is available. Durable servers prefer the programs, because tests kill them and a
/// process restarts faster than a container. CANCELSERVICE_POSTGRES_IMAGE sets the image.
/// CANCELSERVICE_POSTGRES_PROGRAMS sets the directory of the programs and rules out containers.
/// </summary>
public abstract class PostgresCluster : IAsyncDisposable
{
    /// <summary>The connection string of the database <c>postgres</c>; it survives a restart.</summary>
    public abstract string ConnectionString { get; }

    /// <summary>
    /// Creates and starts a cluster. A durable cluster keeps every commit across a kill or a power cut.
    /// </summary>
    /// <exception cref="InvalidOperationException">The start failed; the message has reasons and remedies.</exception>
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
            catch (Exception e) // The next way may still work; the final message lists all reasons.
            {
                reasons.Add($"{name}: {e.Message}");
            }
        }
        throw new InvalidOperationException(
            $"""
            The tests need PostgreSQL. Start a Docker engine that can get the image {PostgresContainer.Image}
            (CANCELSERVICE_POSTGRES_IMAGE names another), or install PostgreSQL's server programs (Debian: apt-get install
            postgresql; CANCELSERVICE_POSTGRES_PROGRAMS names their directory). The failed attempts:
            {string.Join('\n', reasons)}
            """
        );

        static (string Name, Func<Task<PostgresCluster>> Start) Way(string name, Func<Task<PostgresCluster>> start) =>
            (name, start);
    }

    /// <summary>Starts a killed server again and waits for its recovery.</summary>
    public abstract Task Start();

    /// <summary>Kills the server and all its processes with SIGKILL, and waits until they are gone.</summary>
    public abstract Task Kill();

    /// <summary>Stops the server and removes its data.</summary>
    public abstract ValueTask DisposeAsync();

    /// <summary>Builds the command line of the server.</summary>
    private protected static IEnumerable<string> Arguments(bool durable, params IEnumerable<string> settings)
    {
        var writes = durable ? "on" : "off";
        return new[] { "max_connections=300", $"fsync={writes}", $"full_page_writes={writes}" }
            .Concat(settings)
            .SelectMany(setting => new[] { "-c", setting });
    }
}
