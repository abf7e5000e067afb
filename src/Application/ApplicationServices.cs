using FluentValidation;
using MediatR;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.Application;

/// <summary>Registers the use cases. By hand, so that a reader sees what runs; MediatR 5 brings no scanner.</summary>
public static class ApplicationServices
{
    /// <summary>Adds MediatR, the validation behaviour and every use case.</summary>
    public static IServiceCollection AddApplication(this IServiceCollection services) =>
        services
            .AddSingleton<ServiceFactory>(provider => provider.GetRequiredService)
            .AddSingleton<IMediator, Mediator>()
            .AddSingleton(typeof(IPipelineBehavior<,>), typeof(ValidationBehavior<,>))
            .AddSingleton<IValidator<CancelPaymentCommand>, CancelPaymentValidator>()
            .AddSingleton<IRequestHandler<CancelPaymentCommand, CancelPaymentResult>, CancelPaymentHandler>();
}
