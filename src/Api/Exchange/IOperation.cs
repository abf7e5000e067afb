using System.Runtime.InteropServices;
using CancelService.Domain.Clients;
using CancelService.Protocol;

namespace CancelService.Api.Exchange;

/// <summary>
/// An operation of the public port, with everything in which operations differ. The exchange verifies the request
/// before it calls the operation, and signs the answer. A new operation is a folder and one line in ServiceHost.
/// </summary>
public interface IOperation
{
    /// <summary>The name in metrics, traces, the log and diagnoses, such as <c>cancel</c>.</summary>
    string Name { get; }

    /// <summary>The path without prefix, such as <c>/v2/payments/cancel</c>.</summary>
    string Path { get; }

    /// <summary>
    /// The codes in the order of the protocol's rules: the first rule that applies gives the answer. Rule n is at n -
    /// 1, so the code of two rules occurs twice. UNKNOWN_EXCEPTION is not a rule: it answers an unknown outcome.
    /// </summary>
    IReadOnlyList<ResultCode> Order { get; }

    /// <summary>The members of the body that the operation reads. All are strings.</summary>
    IReadOnlyList<string> Members { get; }

    /// <summary>The contents of the operation's page in the OpenAPI document.</summary>
    OperationDescription Description { get; }

    /// <summary>
    /// Checks the values of <see cref="Members"/> in their order; returns the first mistake, or empty.
    /// </summary>
    string Problem(IReadOnlyList<string?> values);

    /// <summary>Reads the client's rate for this operation from its contract.</summary>
    RequestRate RateOf(Contract contract);

    /// <summary>
    /// Decides the codes behind the exchange's own, in <see cref="Order"/>. After an exception the outcome is unknown:
    /// the client gets UNKNOWN_EXCEPTION, and no write is rolled back.
    /// </summary>
    Task<Answer> Execute(VerifiedRequest request, CancellationToken cancellationToken);

    /// <summary>
    /// Completes the answer for the log and keeps records, also for UNKNOWN_EXCEPTION after <see cref="Execute"/> threw
    /// or timed out. Asks no database.
    /// </summary>
    Answer Conclude(Answer answer, VerifiedRequest request);
}

/// <summary>An operation's page in the OpenAPI document.</summary>
/// <param name="Summary">A sentence without full stop.</param>
/// <param name="Request">The record of the request's known members.</param>
/// <param name="Response">The record of the answer's members.</param>
public sealed record OperationDescription(string Summary, Type Request, Type Response);

/// <summary>A token bucket for each client and instance.</summary>
/// <param name="PerSecond">The sustained rate, in requests a second.</param>
/// <param name="Burst">The most requests at once, before the rate applies.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct RequestRate(int PerSecond, int Burst);

/// <summary>A request whose signature was verified.</summary>
/// <param name="Client">The client that signed it.</param>
/// <param name="KeyVersion">The version of the key that verified it.</param>
/// <param name="Body">The body, at most 64 KiB.</param>
/// <param name="TraceId">The identifier under which the log has the request.</param>
public sealed record VerifiedRequest(Client Client, int KeyVersion, RequestBody.Whole Body, string TraceId);
