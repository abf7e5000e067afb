using System.Data.Common;
using Microsoft.Data.Sqlite;
using Npgsql;

namespace CancelService.Infrastructure.Sql;

/// <summary>The product that stores the payments.</summary>
public enum DatabaseProvider
{
    /// <summary>SQLite, the embedded default: one file, one process.</summary>
    Sqlite,

    /// <summary>PostgreSQL, for production: many processes, replication, failover.</summary>
    Postgres,
}

/// <summary>The section <c>Database</c> of the settings.</summary>
public sealed class DatabaseOptions
{
    /// <summary>The database in use.</summary>
    public DatabaseProvider Provider { get; set; } = DatabaseProvider.Sqlite;

    /// <summary>ADO.NET connection string. SQLite has a default, PostgreSQL has none.</summary>
    public string? ConnectionString { get; set; }

    /// <summary>
    /// The longest wait of an answer for the database before it is UNKNOWN_EXCEPTION: 100 ms to 60 s.
    /// </summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>
    /// The number of synchronous standbys that must be connected for the instance to be ready: 0 (no check) to 16. Set
    /// it where PostgreSQL's manager makes replication asynchronous while a standby is away. With 1 or more, each read
    /// is followed by a check for a standby, which costs a round trip that concurrent reads share.
    /// </summary>
    public int SynchronousStandbys { get; set; }

    /// <summary>True to migrate the schema at start. The default is true with SQLite and in Development.</summary>
    public bool? MigrateAtStart { get; set; }

    /// <summary>Says which setting is wrong and how to correct it; null when all are right.</summary>
    public string? Problem()
    {
        if (!Enum.IsDefined(Provider))
            return $"Database:Provider is {Provider}. Set it to Sqlite or Postgres.";
        if (Timeout < TimeSpan.FromMilliseconds(100) || Timeout > TimeSpan.FromSeconds(60))
            return $"Database:Timeout is {Timeout}. Set it between 00:00:00.100 and 00:01:00.";
        if (SynchronousStandbys is < 0 or > 16 || (SynchronousStandbys > 0 && Provider is DatabaseProvider.Sqlite))
            return $"Database:SynchronousStandbys is {SynchronousStandbys}. Set it between 0 and 16; with SQLite to 0.";
        if (Provider is DatabaseProvider.Postgres && string.IsNullOrWhiteSpace(ConnectionString))
            return "Database:ConnectionString is missing. With Database:Provider=Postgres it has to name the database, "
                + "such as Host=db;Database=cancel;Username=cancel;Password=...";
        try
        {
            if (Provider is DatabaseProvider.Postgres)
                using (NpgsqlDataSource.Create(Postgres())) { }
            else
                _ = Sqlite();
            return null;
        }
        catch (NotSupportedException e) // Its message names the two settings that conflict, and quotes no value.
        {
            return $"Database:ConnectionString: {e.Message}.";
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            return $"Database:ConnectionString is not a connection string for Database:Provider={Provider}. "
                + "Correct one of the two.";
        }
    }

    internal NpgsqlConnectionStringBuilder Postgres()
    {
        var given = new DbConnectionStringBuilder { ConnectionString = ConnectionString };
        var hasSeveralHosts = new NpgsqlConnectionStringBuilder(ConnectionString).Host?.Contains(',') is true;
        var settings = new NpgsqlConnectionStringBuilder(ConnectionString)
        {
            ApplicationName = given.ContainsKey("Application Name")
                ? (string)given["Application Name"]
                : "cancelservice",
            // Repeated statements are prepared; 0 in the connection string switches that off.
            MaxAutoPrepare = given.ContainsKey("Max Auto Prepare")
                ? new NpgsqlConnectionStringBuilder(ConnectionString).MaxAutoPrepare
                : 100,
            // Prepare at the second use on a connection, not at the fifth: there are few statements, and all repeat.
            AutoPrepareMinUsages = 2,
            // Serving never changes a session, so skip the reset of returned connections: it costs more than a look-up.
            NoResetOnClose = true,
            // With several hosts, fail over after one second.
            Timeout = hasSeveralHosts ? 1 : WholeSeconds,
            CommandTimeout = WholeSeconds,
            // Close the connection of a statement that timed out without cancelling it: its outcome is unknown anyway.
            CancellationTimeout = -1,
        };
        if (hasSeveralHosts)
        {
            // Only the primary serves, and a host that was a standby one second ago may be the primary now.
            if (!given.ContainsKey("Target Session Attributes"))
                settings.TargetSessionAttributes = "primary";
            if (!given.ContainsKey("Host Recheck Seconds"))
                settings.HostRecheckSeconds = 1;
        }
        return settings;
    }

    internal SqliteConnectionStringBuilder Sqlite() =>
        new(ConnectionString ?? "Data Source=data/cancelservice.db")
        {
            DefaultTimeout = WholeSeconds,
            ForeignKeys = true,
        };

    private int WholeSeconds => (int)Math.Ceiling(Timeout.TotalSeconds);
}
