using System.Globalization;
using CancelService.Domain.Clients;
using CancelService.Protocol;

namespace CancelService.Api.Exchange;

/// <summary>Verifies requests: codes 5 to 7.</summary>
public static class Verification
{
    /// <summary>Verifies a request; <paramref name="client"/> is null for an unknown Client-Id.</summary>
    public static Step<VerifiedRequest> Verify(Client? client, IncomingRequest request, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(request);
        var signature = request.Signature;
        if (client is not { Enabled: true })
            return Refused(Answer.Of(ResultCode.ClientInvalid), client is null ? "no such client" : "disabled");
        if (client.FindKey(signature.KeyVersionNumber, now) is not { } key)
            return Refused(Answer.Of(ResultCode.KeyNotFound), WhyNoKey(client, signature));
        if (request.Body is not RequestBody.Whole body)
            return Refused(
                Answer.Illegal(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"The body must be at most {RequestBody.MaxBytes} bytes."
                    )
                )
            );
        if (!signature.IsRsa256)
            return Refused(Answer.Of(ResultCode.InvalidSignature), "another algorithm");
        if (!signature.TryDecode(out var bytes))
            return Refused(Answer.Of(ResultCode.InvalidSignature), "not base64");
        if (!key.PublicKey.Verifies(request.Hash(body), bytes))
            return Refused(Answer.Of(ResultCode.InvalidSignature), "does not verify", key.Version);
        return new Step<VerifiedRequest>.Next(new(client, key.Version, body, request.Envelope.TraceId));

        Step<VerifiedRequest> Refused(Answer answer, string? reason = null, int? keyVersion = null) =>
            new Step<VerifiedRequest>.End(
                new Reply.Answered(
                    answer with
                    {
                        Reason = reason ?? answer.Reason,
                        KeyVersion = keyVersion ?? signature.KeyVersionNumber,
                    },
                    IsVerified: false
                )
            );
    }

    private static string WhyNoKey(Client client, SignatureHeader signature) =>
        client.Keys.FirstOrDefault(key => key.Version == signature.KeyVersionNumber) switch
        {
            null when signature.KeyVersionNumber is null => "no active key",
            null => "no key of this version",
            { RevokedAt: not null } => "revoked",
            _ => "not valid now",
        };
}
