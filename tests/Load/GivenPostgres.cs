using CancelService.Harness;

namespace CancelService.Load;

/// <summary>A server that somebody else runs.</summary>
internal sealed class GivenPostgres(string connectionString) : PostgresCluster
{
    public override string ConnectionString => connectionString;

    public override Task Start() => Task.CompletedTask;

    public override Task Kill() => throw new NotSupportedException("It is somebody else's.");

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
