using System.Diagnostics.CodeAnalysis;

namespace CancelService.Api.Exchange;

/// <summary>What a step of the exchange comes to: a value for the next step, or the end of the exchange.</summary>
public abstract record Step<T>
    where T : notnull
{
    private Step() { }

    /// <summary>The exchange goes on to its next step.</summary>
    public sealed record Next(T Value) : Step<T>;

    /// <summary>The reply is decided; the steps between here and the last one are left out.</summary>
    public sealed record End(Reply Reply) : Step<T>;

    /// <summary>Tells the two cases apart.</summary>
    public bool GoesOn([NotNullWhen(true)] out T? value, [NotNullWhen(false)] out Reply? reply)
    {
        (value, reply) = this is Next next ? (next.Value, default(Reply)) : (default, ((End)this).Reply);
        return reply is null;
    }
}

/// <summary>How an exchange ends.</summary>
/// <param name="IsVerified"> Whether the request's signature was verified, at least with what this instance last knew of its
/// client. The cost of unverified requests is bounded.
/// </param>
public abstract record Reply(bool IsVerified)
{
    /// <summary>HTTP 200 with a signed body.</summary>
    public sealed record Answered(Answer Answer, bool IsVerified) : Reply(IsVerified);

    /// <summary>A plain 503, which costs next to nothing. <paramref name="Limit"/> names the limit that was reached, for the log.</summary>
    public sealed record TurnedAway(string Limit, bool IsVerified) : Reply(IsVerified);
}
