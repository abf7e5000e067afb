using CancelService.Application.Accounts;
using CancelService.Application.Cancelling;
using CancelService.Application.Clients;
using CancelService.Application.Inquiring;
using CancelService.Application.Intake;
using CancelService.Application.Pipeline;
using FluentValidation;
using MediatR;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.Application;

/// <summary>Registers the use cases by hand: a reader sees every handler, and MediatR 5 has no scanner.</summary>
public static class ApplicationServices
{
    /// <summary>Adds MediatR, the validation behaviour and every use case.</summary>
    public static IServiceCollection AddApplication(this IServiceCollection services) =>
        services
            .AddSingleton<ServiceFactory>(provider => provider.GetRequiredService)
            .AddSingleton<IMediator, Mediator>()
            .AddSingleton<Races>()
            .AddSingleton(typeof(IPipelineBehavior<,>), typeof(ValidationBehavior<,>))
            .AddUseCase<CancelPaymentCommand, CancelPaymentResult, CancelPaymentHandler, CancelPaymentValidator>()
            .AddUseCase<InquirePaymentQuery, InquirePaymentResult, InquirePaymentHandler, InquirePaymentValidator>()
            .AddUseCase<
                RegisterPaymentCommand,
                RegisterPaymentResult,
                RegisterPaymentHandler,
                RegisterPaymentValidator
            >()
            .AddUseCase<ReportPaymentCommand, ReportPaymentResult, ReportPaymentHandler, ReportPaymentValidator>()
            .AddUseCase<PutClientCommand, ClientResult, PutClientHandler, PutClientValidator>()
            .AddUseCase<PutClientKeyCommand, ClientResult, PutClientKeyHandler, PutClientKeyValidator>()
            .AddUseCase<RevokeClientKeyCommand, ClientResult, RevokeClientKeyHandler, RevokeClientKeyValidator>()
            .AddUseCase<PostTransferCommand, PostTransferResult, PostTransferHandler, PostTransferValidator>();

    private static IServiceCollection AddUseCase<TCommand, TResult, THandler, TValidator>(
        this IServiceCollection services
    )
        where TCommand : class, IRequest<TResult>
        where THandler : class, IRequestHandler<TCommand, TResult>
        where TValidator : class, IValidator<TCommand> =>
        services
            .AddSingleton<IValidator<TCommand>, TValidator>()
            .AddSingleton<IRequestHandler<TCommand, TResult>, THandler>();
}
