using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using CancelService.Infrastructure.Signing;
using CancelService.Protocol;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Exchange;

/// <summary>The input of an answer's signature.</summary>
/// <param name="ResponseTime">The header <c>response-time</c>.</param>
/// <param name="Hash">The SHA-256 of the string to sign.</param>
public sealed record SigningInput(string ResponseTime, byte[] Hash);

/// <summary>
/// Signs answers, and caches signatures for a second. An answer that is not final has its time in whole seconds, so
/// that equal refusals of one second share a signature: in a flood each costs a hash instead of an RSA signature (0.7
/// ms of a processor). The key of the cache is the hash of everything that is signed.
/// </summary>
public sealed class AnswerSigner(WalletKey walletKey, IOptions<WalletOptions> wallet, TimeProvider time)
{
    /// <summary>The most cached signatures; further ones of that second are not cached.</summary>
    public const int MaxShared = 1024;

    private readonly WalletClock _clock = new(wallet.Value.Zone);
    private Second _second = new(0);

    /// <summary>Sets the answer's time, and hashes the string to sign.</summary>
    public SigningInput Prepare(Envelope envelope, Answer answer)
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

    /// <summary>Finds a signature in the cache.</summary>
    public bool TryFind(SigningInput input, [NotNullWhen(true)] out string? signature) =>
        Current().Made.TryGetValue(Key(input), out signature);

    /// <summary>Makes the value of the header <c>signature</c>.</summary>
    public string Sign(SigningInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var signature = walletKey.Sign(input.Hash);
        var second = Current();
        if (Interlocked.Increment(ref second.Count) <= MaxShared)
            second.Made[Key(input)] = signature;
        return signature;
    }

    // At the turn of a second two requests may each start a cache. Losing one of them costs a signature.
    private Second Current()
    {
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        var second = Volatile.Read(ref _second);
        if (second.Number != now)
            Volatile.Write(ref _second, second = new Second(now));
        return second;
    }

    private static (UInt128, UInt128) Key(SigningInput input) =>
        (MemoryMarshal.Read<UInt128>(input.Hash), MemoryMarshal.Read<UInt128>(input.Hash.AsSpan(16)));

    private sealed class Second(long number)
    {
        public int Count;

        public long Number { get; } = number;

        public ConcurrentDictionary<(UInt128, UInt128), string> Made { get; } = new();
    }
}
