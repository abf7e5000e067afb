using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using CancelService.Infrastructure.Signing;
using CancelService.Protocol;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Exchange;

/// <summary>The time and the hash that an answer is signed with.</summary>
/// <param name="ResponseTime">The header <c>response-time</c>.</param>
/// <param name="Hash">SHA-256 of the string to sign.</param>
public sealed record Seal(string ResponseTime, byte[] Hash);

/// <summary>
/// Signs answers. An answer that is not final says its time in whole seconds, so that the same refusal of the same request
/// has the same string to sign for a second, and needs one signature: a flood of refusals then costs a hash each instead of
/// an RSA signature (0.7 ms of a processor). Only the same content shares a signature: the key of this cache is the hash of
/// all that is signed.
/// </summary>
public sealed class AnswerSigner(WalletKey walletKey, IOptions<WalletOptions> wallet, TimeProvider time)
{
    /// <summary>How many signatures of one second are kept; later ones of that second are made anew each time.</summary>
    public const int MaxShared = 1024;

    private readonly WalletClock _clock = new(wallet.Value.Zone);
    private Second _second = new(0);

    /// <summary>Fixes the answer's time, and hashes all that is signed.</summary>
    public Seal Prepare(Envelope envelope, Answer answer)
    {
        ArgumentNullException.ThrowIfNull(envelope);
        ArgumentNullException.ThrowIfNull(answer);
        var now = time.GetUtcNow();
        if (!answer.IsFinal)
            now = DateTimeOffset.FromUnixTimeSeconds(now.ToUnixTimeSeconds());
        var responseTime = _clock.Milliseconds(now);
        return new(
            responseTime,
            SignatureScheme.Hash(envelope.Method, envelope.Path, envelope.ClientId, responseTime, answer.Body)
        );
    }

    /// <summary>Finds a signature that was made earlier in this second, which costs nothing.</summary>
    public bool TryFind(Seal seal, [NotNullWhen(true)] out string? signature) =>
        Current().Made.TryGetValue(Key(seal), out signature);

    /// <summary>Makes the value of the header <c>signature</c>.</summary>
    public string Sign(Seal seal)
    {
        ArgumentNullException.ThrowIfNull(seal);
        var signature = walletKey.Sign(seal.Hash);
        var second = Current();
        if (Interlocked.Increment(ref second.Count) <= MaxShared)
            second.Made[Key(seal)] = signature;
        return signature;
    }

    // At the turn of a second two requests may each start a new cache. One of them is lost, which costs a signature.
    private Second Current()
    {
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        var second = Volatile.Read(ref _second);
        if (second.Number != now)
            Volatile.Write(ref _second, second = new Second(now));
        return second;
    }

    private static (UInt128, UInt128) Key(Seal seal) =>
        (MemoryMarshal.Read<UInt128>(seal.Hash), MemoryMarshal.Read<UInt128>(seal.Hash.AsSpan(16)));

    private sealed class Second(long number)
    {
        public int Count;

        public long Number { get; } = number;

        public ConcurrentDictionary<(UInt128, UInt128), string> Made { get; } = new();
    }
}
