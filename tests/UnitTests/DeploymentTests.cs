using System.Globalization;
using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using CancelService.Api;
using CancelService.Api.Exchange;
using CancelService.Infrastructure.Sql;
using k8s;
using k8s.Models;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.Configuration;

namespace CancelService.UnitTests;

/// <summary>
/// Goal: deploy/ and compose.yaml agree with the service. Without these tests a misspelt field, setting, port or path
/// would surface only in the cluster: Kubernetes drops unknown fields, and the service ignores unknown settings.
/// </summary>
public sealed partial class DeploymentTests
{
    private const string Folder = "deploy/kubernetes";
    private const RegexOptions Bounded = RegexOptions.ExplicitCapture;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private static readonly IConfiguration Settings = new ConfigurationBuilder()
        .AddJsonFile(Path.Combine(AppContext.BaseDirectory, "deploy", "appsettings.json"))
        .Build();

    private static readonly IReadOnlyList<object> Objects = [.. Manifests().SelectMany(Load)];

    public static TheoryData<string> FilesWithSettings =>
        [
            "deploy/compose.yaml",
            .. Manifests().Select(name => $"{Folder}/{name}"),
            "deploy/systemd/cancelservice.service",
            "deploy/systemd/cancelservice-migrate.service",
        ];

    [Fact]
    public void Every_manifest_is_in_the_kustomization_and_has_no_unknown_field()
    {
        var listed = Read($"{Folder}/kustomization.yaml")
            .Split('\n')
            .Where(line =>
                line.StartsWith("  - ", StringComparison.Ordinal) && line.EndsWith(".yaml", StringComparison.Ordinal)
            )
            .Select(line => line["  - ".Length..]);

        listed.ShouldBe(Manifests(), ignoreOrder: true);
        Objects.Count.ShouldBe(9);
    }

    [Fact]
    public void The_manifest_check_finds_a_misspelt_field() =>
        Should.Throw<Exception>(() =>
            KubernetesYaml.LoadAllFromString(
                "apiVersion: apps/v1\nkind: Deployment\nspec: { replica: 2 }",
                strict: true
            )
        );

    [Theory]
    [MemberData(nameof(FilesWithSettings))]
    public void Every_named_setting_exists(string file)
    {
        var named = SettingNames()
            .Matches(Read(file))
            .Select(match => match.Value.Replace("__", ":", StringComparison.Ordinal));

        named.Where(name => !Exists(name)).ShouldBeEmpty();
    }

    [Fact]
    public void The_setting_check_finds_a_wrong_name()
    {
        Exists("Database:ConnectionString").ShouldBeTrue();
        Exists("Database:Connection").ShouldBeFalse();
        Exists("Kestrel:Endpoints:Internal:Uri").ShouldBeFalse();
        Exists("Authentication:Schemes:Bearer:Authorty").ShouldBeFalse();
    }

    [Fact]
    public void Probes_services_and_policies_use_the_ports_that_instances_listen_on()
    {
        var container = One<V1Deployment>().Spec.Template.Spec.Containers.Single();
        var ports = container.Ports.ToDictionary(port => port.Name, port => port.ContainerPort, StringComparer.Ordinal);
        ports["public"].ShouldBe(new Uri(Settings["Kestrel:Endpoints:Public:Url"]!.Replace('*', 'h')).Port);
        ports["internal"]
            .ShouldBe(new Uri(One<V1ConfigMap>().Data["Kestrel__Endpoints__Internal__Url"].Replace('*', 'h')).Port);

        foreach (var probe in new[] { container.StartupProbe, container.LivenessProbe, container.ReadinessProbe })
            probe.HttpGet.Port.Value.ShouldBe("internal");
        container.StartupProbe.HttpGet.Path.ShouldBe("/healthz/live");
        container.LivenessProbe.HttpGet.Path.ShouldBe("/healthz/live");
        container.ReadinessProbe.HttpGet.Path.ShouldBe("/healthz/ready");
        foreach (var port in All<V1Service>().SelectMany(service => service.Spec.Ports))
            port.Port.ShouldBe(ports[port.TargetPort.Value]);
    }

    [Fact]
    public void The_network_policy_admits_only_labelled_namespaces_to_the_internal_port()
    {
        var policy = All<V1NetworkPolicy>().Single(policy => policy.Spec.Ingress is not null).Spec;

        policy.PodSelector.MatchLabels.ShouldBe(One<V1Deployment>().Spec.Selector.MatchLabels);
        policy.PolicyTypes.ShouldBe(["Ingress"]);
        var open = policy.Ingress.Where(rule => rule.FromProperty is null).SelectMany(rule => rule.Ports);
        open.Select(port => port.Port.Value).ShouldBe(["public"]);
    }

    [Fact]
    public void A_rolling_update_keeps_capacity_and_leaves_time_to_drain()
    {
        var deployment = One<V1Deployment>().Spec;
        var shutdown = new Api.Hosting.ShutdownOptions();

        deployment.Strategy.RollingUpdate.MaxUnavailable.Value.ShouldBe("0");
        deployment.Replicas!.Value.ShouldBeGreaterThan(1);
        deployment.Template.Spec.TerminationGracePeriodSeconds!.Value.ShouldBeGreaterThan(
            (long)(shutdown.DrainTime + shutdown.GraceTime).TotalSeconds
        );
        deployment
            .Template.Spec.Containers.Single()
            .ReadinessProbe.TimeoutSeconds!.Value.ShouldBeGreaterThan((int)new DatabaseOptions().Timeout.TotalSeconds);
        One<V1PodDisruptionBudget>().Spec.Selector.MatchLabels.ShouldBe(deployment.Selector.MatchLabels);
    }

    /// <summary>
    /// Goal: the load balancer sends no request to an instance that has stopped listening, nor on a connection that the
    /// instance is closing.
    /// </summary>
    [Fact]
    public void The_load_balancer_notices_a_stop_within_the_drain_time_and_closes_idle_connections_first()
    {
        var file = Read("deploy/haproxy.cfg");
        var limits = new LimitsOptions();

        var checks = Number(@"\bfall (?<n>\d+)") * Number(@"\binter (?<n>\d+)s");
        TimeSpan.FromSeconds(checks).ShouldBeLessThan(new Api.Hosting.ShutdownOptions().DrainTime);
        file.ShouldContain("http-check send meth GET uri /healthz/ready\n");
        Number(@"\bcheck port (?<n>\d+)").ShouldBe(new Uri(Settings["Kestrel:Endpoints:Internal:Url"]!).Port);
        Number(@"\bserver one \S+:(?<n>\d+)")
            .ShouldBe(new Uri(Settings["Kestrel:Endpoints:Public:Url"]!.Replace('*', 'h')).Port);
        TimeSpan.FromMinutes(Number(@"timeout http-keep-alive (?<n>\d+)m")).ShouldBeLessThan(limits.KeepAliveTimeout);
        TimeSpan.FromSeconds(Number(@"timeout server (?<n>\d+)s")).ShouldBeGreaterThan(new DatabaseOptions().Timeout);
        TimeSpan.FromSeconds(Number(@"timeout server (?<n>\d+)s")).ShouldBeLessThan(limits.KeepAliveTimeout);

        int Number(string pattern) =>
            int.Parse(
                Regex.Match(file, pattern, RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(1)).Groups["n"].Value,
                CultureInfo.InvariantCulture
            );
    }

    [Fact]
    public void Pods_meet_the_restricted_standard_and_take_secrets_by_reference()
    {
        All<V1Secret>().ShouldBeEmpty();
        foreach (var pod in new[] { One<V1Deployment>().Spec.Template.Spec, One<V1Job>().Spec.Template.Spec })
        {
            pod.SecurityContext.RunAsNonRoot.ShouldBe(true);
            pod.SecurityContext.SeccompProfile.Type.ShouldBe("RuntimeDefault");
            pod.AutomountServiceAccountToken.ShouldBe(false);
            var container = pod.Containers.Single();
            container.SecurityContext.AllowPrivilegeEscalation.ShouldBe(false);
            container.SecurityContext.ReadOnlyRootFilesystem.ShouldBe(true);
            container.SecurityContext.Capabilities.Drop.ShouldBe(["ALL"]);
            container.EnvFrom.Single().ConfigMapRef.Name.ShouldBe(One<V1ConfigMap>().Metadata.Name);
            container.Env.ShouldAllBe(variable => variable.ValueFrom.SecretKeyRef.Key != null);
            var mount = container.VolumeMounts.Single();
            One<V1ConfigMap>()
                .Data["Wallet__SigningKeyPath"]
                .ShouldBe($"{mount.MountPath}/{pod.Volumes.Single().Secret.Items.Single().Path}");
        }
        One<V1Job>().Spec.Template.Spec.Containers.Single().Args.ShouldBe(["migrate"]);
    }

    /// <summary>
    /// Goal: an operator finds the panel of each alert. The alert on disk space has none, because its metric comes from
    /// another exporter.
    /// </summary>
    [Fact]
    public void The_dashboard_has_a_panel_for_every_alert_and_names_no_other()
    {
        var panels = Read("deploy/grafana/cancelservice.json");
        var alerts = Regex
            .Matches(Read("deploy/prometheus/alerts.yml"), "- alert: (?<name>[A-Za-z]+)", Bounded, Patience)
            .Select(match => match.Groups["name"].Value)
            .Where(name => name != "CancelServiceDiskFills");

        Regex
            .Matches(panels, "CancelService[A-Z][A-Za-z]+", Bounded, Patience)
            .Select(match => match.Value)
            .Distinct(StringComparer.Ordinal)
            .ShouldBe(alerts, ignoreOrder: true);
        using var dashboard = JsonDocument.Parse(panels);
        foreach (var panel in dashboard.RootElement.GetProperty("panels").EnumerateArray())
        {
            if (panel.GetProperty("type").GetString() == "row")
                continue;
            panel.GetProperty("description").GetString().ShouldNotBeNullOrEmpty();
            panel.GetProperty("targets").GetArrayLength().ShouldBeGreaterThan(0);
        }
    }

    [Fact]
    public void Every_file_names_the_version_of_the_build()
    {
        var version = typeof(Program).Assembly.GetName().Version!.ToString(3);

        Read($"{Folder}/kustomization.yaml").ShouldContain($"newTag: {version}\n");
        One<V1Job>().Metadata.Name.ShouldBe($"cancelservice-migrate-{version.Replace('.', '-')}");
        Read("deploy/compose.yaml").ShouldContain($"cancelservice:{version}}}");
        Read("deploy/compose.yaml").ShouldContain($"cancelservice-sandbox:{version}}}");
        Read("deploy/compose.yaml").ShouldContain($"VERSION: {version},");
    }

    [GeneratedRegex(@"\b[A-Z][A-Za-z]+(__[A-Za-z0-9]+)+", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SettingNames();

    private static bool Exists(string setting)
    {
        var names = setting.Split(':');
        if (names is ["Authentication", "Schemes", "Bearer", var option, ..])
            return option is "ValidIssuer" or "ValidAudience" or "SigningKeys"
                || typeof(JwtBearerOptions).GetProperty(option) is not null;
        if (names[0] is "Kestrel")
            return Settings[setting] is not null;
        if (setting is "Sandbox:Directory" or "AutoMapper:LicenseKey")
            return true;
        return new[] { typeof(Program).Assembly, typeof(DatabaseOptions).Assembly }
            .SelectMany(assembly => assembly.GetTypes())
            .Where(type => type.Name == $"{names[0]}Options")
            .Any(type => type.GetProperty(names[1], BindingFlags.Public | BindingFlags.Instance) is not null);
    }

    private static IEnumerable<string> Manifests() =>
        Directory
            .EnumerateFiles(Path.Combine(AppContext.BaseDirectory, Folder), "*.yaml")
            .Select(path => Path.GetFileName(path))
            .Where(name => name != "kustomization.yaml");

    private static List<object> Load(string name) =>
        KubernetesYaml.LoadAllFromString(Read($"{Folder}/{name}"), strict: true);

    private static string Read(string file) => File.ReadAllText(Path.Combine(AppContext.BaseDirectory, file));

    private static IEnumerable<T> All<T>() => Objects.OfType<T>();

    private static T One<T>() => All<T>().Single();
}
