using CancelService.Api.Failures;
using CancelService.Infrastructure.Sql;
using CancelService.Protocol;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Exchange;

/// <summary>
/// Bounds the exchange's wait for the database, and detects outages. During an outage no request waits for a slot,
/// because its answer would be UNKNOWN_EXCEPTION anyway.
/// </summary>
public sealed class DatabaseWatch(IOptions<DatabaseOptions> options, TimeProvider time, ExchangeLog log)
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RecentFailure = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private long? _failedAt;
    private int _waiting;
    private long _silentSince;

    /// <summary>
    /// Whether there is an outage: the database failed within five seconds and has not answered since, or a call has
    /// waited for more than a second.
    /// </summary>
    public bool IsAway
    {
        get
        {
            lock (_lock)
                return (_failedAt is { } at && time.GetElapsedTime(at) < RecentFailure)
                    || (_waiting > 0 && time.GetElapsedTime(_silentSince) > Silence);
        }
    }

    /// <summary>Bounds the total wait of one request for the database; dispose it.</summary>
    public sealed class Deadline(TimeSpan timeout) : IDisposable
    {
        private CancellationTokenSource? _source;

        /// <summary>Starts the deadline unless it runs already.</summary>
        public CancellationToken Start() => (_source ??= new CancellationTokenSource(timeout)).Token;

        /// <inheritdoc/>
        public void Dispose() => _source?.Dispose();
    }

    /// <summary>Makes a deadline of <c>Database:Timeout</c> that does not run yet.</summary>
    public Deadline NewDeadline() => new(options.Value.Timeout);

    /// <summary>
    /// Calls the database until the deadline. After a failure or a timeout the outcome is unknown, so the answer is
    /// UNKNOWN_EXCEPTION.
    /// </summary>
    public async Task<Step<T>> Ask<T>(
        Deadline deadline,
        IncomingRequest request,
        bool isVerified,
        Func<CancellationToken, Task<T>> ask
    )
        where T : notnull
    {
        ArgumentNullException.ThrowIfNull(deadline);
        ArgumentNullException.ThrowIfNull(ask);
        var token = deadline.Start();
        Begin();
        try
        {
            return new Step<T>.Next(await ask(token).WaitAsync(token));
        }
        catch (Exception e)
        {
            var cause = UnknownCause.Of(e, options.Value.Timeout);
            log.OutcomeUnknown(cause, e, request.Envelope);
            if (cause.IsDatabaseAway)
                HasFailed();
            return new Step<T>.End(Unknown(request, isVerified, cause.Text));
        }
        finally
        {
            lock (_lock)
                _waiting--;
        }
    }

    /// <summary>Makes the answer to a request whose outcome is unknown.</summary>
    public static Reply.Answered Unknown(IncomingRequest request, bool isVerified, string reason)
    {
        ArgumentNullException.ThrowIfNull(request);
        var answer = Answer.Of(ResultCode.UnknownException) with
        {
            Reason = reason,
            KeyVersion = request.Signature.KeyVersionNumber,
        };
        return new(answer, isVerified);
    }

    /// <summary>Ends an outage: the database has answered.</summary>
    public void HasAnswered()
    {
        lock (_lock)
            (_failedAt, _silentSince) = (null, time.GetTimestamp());
    }

    private void HasFailed()
    {
        lock (_lock)
            _failedAt = time.GetTimestamp();
    }

    private void Begin()
    {
        lock (_lock)
        {
            if (_waiting++ == 0)
                _silentSince = time.GetTimestamp();
        }
    }
}
