using System.Data.Common;
using System.Net.Sockets;
using CancelService.Api.Failures;

namespace CancelService.UnitTests;

/// <summary>Goal: the log tells an operator the cause of an UNKNOWN_EXCEPTION on one line.</summary>
public sealed class UnknownCauseTests
{
    public static readonly TheoryData<Exception, string, bool, bool> Failures = new()
    {
        { new TaskCanceledException(), "no answer from the database within 2.5 s", true, false },
        { new TimeoutException(), "no answer from the database within 2.5 s", true, false },
        {
            new Failure(null, "Exception while reading", new TimeoutException()),
            "no answer from the database within 2.5 s",
            true,
            false
        },
        {
            new Failure(null, "Failed to connect", new SocketException(111)),
            "the database is out of reach: Failed to connect",
            true,
            false
        },
        { new IOException("broken pipe"), "the database is out of reach: broken pipe", true, false },
        { Wrapped("57P01"), "the database refused with SQLSTATE 57P01: first line", true, false },
        { Wrapped("53300"), "the database refused with SQLSTATE 53300: first line", true, false },
        { Wrapped("08006"), "the database refused with SQLSTATE 08006: first line", true, false },
        { Wrapped("25006"), "the database refused with SQLSTATE 25006: first line", true, false },
        { Wrapped("40P01"), "the database refused with SQLSTATE 40P01: first line", false, false },
        { Wrapped("55P03"), "the database refused with SQLSTATE 55P03: first line", false, false },
        { Wrapped("25P02"), "the database refused with SQLSTATE 25P02: first line", false, true },
        { Wrapped("23514"), "the database refused with SQLSTATE 23514: first line", false, true },
        { Wrapped("42P05"), "the database refused with SQLSTATE 42P05: first line", false, true },
        { new InvalidOperationException("a bug\nof ours"), "InvalidOperationException: a bug", false, true },
        {
            new InvalidOperationException(new string('x', 1000)),
            $"InvalidOperationException: {new string('x', 300)}",
            false,
            true
        },
    };

    [Theory]
    [MemberData(nameof(Failures), DisableDiscoveryEnumeration = true)]
    public void A_cause_has_one_line_and_a_stack_trace_only_when_it_may_be_a_bug(
        Exception failure,
        string text,
        bool isDatabaseAway,
        bool needsTrace
    ) => UnknownCause.Of(failure, TimeSpan.FromSeconds(2.5)).ShouldBe(new(text, isDatabaseAway, needsTrace));

    private static InvalidOperationException Wrapped(string state) =>
        new("EF says that it may be transient", new Failure(state, "first line\r\nDETAIL: second line", null));

    private sealed class Failure(string? state, string message, Exception? inner) : DbException(message, inner)
    {
        public override string? SqlState => state;
    }
}
