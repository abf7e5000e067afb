using CancelService.Harness;

namespace CancelService.Load;

/// <summary>An existing PostgreSQL server that the measurement must neither kill nor remove.</summary>
internal sealed class GivenPostgres(string connectionString) : PostgresCluster
{
    public override string ConnectionString => connectionString;

    public override Task Start() => Task.CompletedTask;

    public override Task Kill() =>
        throw new NotSupportedException("The server of CANCELSERVICE_TEST_POSTGRES must not be killed.");

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
