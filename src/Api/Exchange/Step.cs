using System.Diagnostics.CodeAnalysis;

namespace CancelService.Api.Exchange;

/// <summary>
/// The result of a step of the exchange: a value for the next step, or the reply that ends the exchange.
/// </summary>
public abstract record Step<T>
    where T : notnull
{
    private Step() { }

    /// <summary>The exchange continues with its next step.</summary>
    public sealed record Next(T Value) : Step<T>;

    /// <summary>The reply is decided; only signing and writing follow.</summary>
    public sealed record End(Reply Reply) : Step<T>;

    /// <summary>Returns true with the value, or false with the reply.</summary>
    public bool GoesOn([NotNullWhen(true)] out T? value, [NotNullWhen(false)] out Reply? reply)
    {
        (value, reply) = this is Next next ? (next.Value, default(Reply)) : (default, ((End)this).Reply);
        return reply is null;
    }
}

/// <summary>The end of an exchange.</summary>
/// <param name="IsVerified">
/// Whether the request's signature was verified, at least with a stale client. Unverified requests are throttled.
/// </param>
public abstract record Reply(bool IsVerified)
{
    /// <summary>HTTP 200 with a signed body.</summary>
    public sealed record Answered(Answer Answer, bool IsVerified) : Reply(IsVerified);

    /// <summary>
    /// A plain 503, which costs next to nothing. <paramref name="Limit"/> names the reached limit's setting.
    /// </summary>
    public sealed record TurnedAway(string Limit, bool IsVerified) : Reply(IsVerified);
}
