using System.Security.Claims;

namespace CancelService.Application.Pipeline;

/// <summary>The scopes of operators and of the core; each is the name of the policy that demands it.</summary>
public static class Scopes
{
    /// <summary>Register payments, report what happened to them, requeue events.</summary>
    public const string PaymentsWrite = "payments:write";

    /// <summary>Read payments, feeds and notifications.</summary>
    public const string PaymentsRead = "payments:read";

    /// <summary>Change clients, contracts and keys.</summary>
    public const string ClientsWrite = "clients:write";

    /// <summary>Read clients, contracts, keys and accounts.</summary>
    public const string ClientsRead = "clients:read";

    /// <summary>Post deposits and payouts.</summary>
    public const string AccountsWrite = "accounts:write";

    /// <summary>All of them.</summary>
    public static readonly IReadOnlyList<string> All =
    [
        PaymentsWrite,
        PaymentsRead,
        ClientsWrite,
        ClientsRead,
        AccountsWrite,
    ];
}

/// <summary>Reads the claims of an authenticated caller.</summary>
public static class Callers
{
    /// <summary>The token's subject, for the record; <c>unnamed</c> where it is missing or longer than 256 characters.</summary>
    public static string Actor(this ClaimsPrincipal caller) =>
        caller.FindFirst("sub")?.Value is { Length: > 0 and <= 256 } subject ? subject : "unnamed";

    /// <summary>
    /// Whether the token has a scope. RFC 8693 writes scopes in one claim, separated by spaces. Some issuers name the claim
    /// scp, or repeat it.
    /// </summary>
    public static bool HasScope(this ClaimsPrincipal caller, string scope)
    {
        ArgumentNullException.ThrowIfNull(caller);
        return caller
            .Claims.Where(claim => claim.Type is "scope" or "scp")
            .Any(claim => claim.Value.Split(' ').Contains(scope, StringComparer.Ordinal));
    }
}
