using CancelService.Application.Protocol;
using CancelService.Domain.Clients;

namespace CancelService.Api.Public;

/// <summary>
/// An operation of the API. The exchange has verified the request when it calls one, and signs what the operation answers.
/// A new operation is a folder of its own and one line in ServiceHost.
/// </summary>
public interface IOperation
{
    /// <summary>The path without prefix, such as <c>/v2/payments/cancel</c>.</summary>
    string Path { get; }

    /// <summary>
    /// Decides the codes from 9 on, in the order of the protocol. If it throws, the client gets UNKNOWN_EXCEPTION, because
    /// the outcome is unknown. Nothing that was written is taken back.
    /// </summary>
    Task<Answer> Execute(VerifiedRequest request, CancellationToken cancellationToken);

    /// <summary>
    /// Called with the answer that the client gets, also where that is UNKNOWN_EXCEPTION because <see cref="Execute"/> threw or
    /// took too long: the place to note it, and to name for the log what the request was about. It asks no database.
    /// </summary>
    Answer Conclude(Answer answer, VerifiedRequest request);
}

/// <summary>A request whose signature was verified.</summary>
/// <param name="Client">The client that signed it.</param>
/// <param name="KeyVersion">The version of the key that verified it.</param>
/// <param name="Body">The body, at most 64 KiB.</param>
/// <param name="TraceId">The identifier under which the log has the request.</param>
public sealed record VerifiedRequest(Client Client, int KeyVersion, RequestBody.Whole Body, string TraceId);
