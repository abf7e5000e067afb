using FluentValidation;
using MediatR;

namespace CancelService.Application;

/// <summary>A result that can say that its command was malformed, so that a refusal stays a value.</summary>
public interface IValidated<TSelf>
    where TSelf : IValidated<TSelf>
{
    /// <summary>The result for a malformed command; the message names the field and what is wrong with it.</summary>
    static abstract TSelf Invalid(string message);
}

/// <summary>The one behaviour of the pipeline: a malformed command does not reach its handler.</summary>
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
