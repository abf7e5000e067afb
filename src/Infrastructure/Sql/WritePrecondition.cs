namespace CancelService.Infrastructure.Sql;

/// <summary>
/// A condition of a host on every write: <see cref="Database"/> runs the statement first in each transaction that it
/// writes, and the transaction fails when the statement fails. A host that registers no precondition pays nothing for
/// it.
/// </summary>
/// <param name="Sql">
/// A query without parameters. It must fail where writing is not allowed, for instance because its table is missing.
/// </param>
public sealed record WritePrecondition(string Sql);
