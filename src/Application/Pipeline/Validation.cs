using CancelService.Domain;
using FluentValidation;
using MediatR;

namespace CancelService.Application.Pipeline;

/// <summary>A result with a case for a malformed command, so that a refusal is a value and not an exception.</summary>
public interface IValidated<TSelf>
    where TSelf : IValidated<TSelf>
{
    /// <summary>The result for a malformed command; the message names the field and what is wrong with it.</summary>
    static abstract TSelf Invalid(string message);
}

/// <summary>Stops a malformed command before its handler. It is the pipeline's only behaviour.</summary>
public sealed class ValidationBehavior<TRequest, TResponse>(IEnumerable<IValidator<TRequest>> validators)
    : IPipelineBehavior<TRequest, TResponse>
    where TRequest : notnull
    where TResponse : IValidated<TResponse>
{
    /// <inheritdoc/>
    public Task<TResponse> Handle(
        TRequest request,
        CancellationToken cancellationToken,
        RequestHandlerDelegate<TResponse> next
    )
    {
        ArgumentNullException.ThrowIfNull(next);
        foreach (var validator in validators)
        {
            var result = validator.Validate(request);
            if (!result.IsValid)
                return Task.FromResult(TResponse.Invalid(result.Errors[0].ErrorMessage));
        }
        return next();
    }
}

/// <summary>Rules that several commands share.</summary>
internal static class Rules
{
    public static IRuleBuilderOptions<T, long?> Amount<T>(this IRuleBuilder<T, long?> rule) =>
        rule.Must(amount => amount is > 0 and <= Money.MaxMinorUnits)
            .WithMessage($"amount.minorUnits must be a whole number from 1 to {Money.MaxMinorUnits}.");

    public static IRuleBuilderOptions<T, string?> Currency<T>(this IRuleBuilder<T, string?> rule) =>
        rule.Must(Domain.Currency.IsWellFormed).WithMessage("amount.currency must be three capital letters.");

    public static IRuleBuilderOptions<T, string?> ClientId<T>(this IRuleBuilder<T, string?> rule) =>
        rule.Must(id => Domain.ClientId.IsWellFormed(id)).WithMessage($"clientId {Domain.ClientId.Rule}.");

    public static IRuleBuilderOptions<T, string?> Id<T>(this IRuleBuilder<T, string?> rule, string name) =>
        rule.Must(id => Identifier.IsWellFormed(id)).WithMessage($"{name} {Identifier.Rule}.");
}
