using System.Data.Common;
using Npgsql;

namespace CancelService.Infrastructure.Servers;

/// <summary>
/// Identifies a server among those in the connection string. Servers behind one name, such as a proxy or a virtual
/// address, look alike.
/// </summary>
internal readonly record struct ServerAddress(string? Host, int Port)
{
    /// <summary>Returns the address that an open connection leads to.</summary>
    public static ServerAddress Of(NpgsqlConnection connection) => new(connection.Host, connection.Port);
}

/// <summary>
/// Thrown when the barrier's commit went to another server than the read. A standby was promoted between the two,
/// perhaps without the data that was read.
/// </summary>
internal sealed class OtherServerException()
    : DbException("The data came from a server that no longer accepts writes.");
