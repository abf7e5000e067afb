#!/usr/bin/env pwsh
# Builds and runs every test, like build.sh. On Windows, the tests that kill and restart PostgreSQL run in WSL;
# without WSL, the fast tests run. Arguments are Cake's: ./build.ps1 --target=Publish
$ErrorActionPreference = 'Stop'
Set-Location $PSScriptRoot

if (-not $IsWindows -and $PSVersionTable.PSEdition -eq 'Core') {
    & ./build.sh @args
    exit $LASTEXITCODE
}
if (-not (Get-Command dotnet -ErrorAction SilentlyContinue)) {
    Write-Error 'The .NET SDK is missing. Install version 10: https://dotnet.microsoft.com/download'
}
if ($args.Count -eq 0) {
    if (Get-Command wsl -ErrorAction SilentlyContinue) {
        wsl --exec bash ./build.sh
        exit $LASTEXITCODE
    }
    Write-Warning 'Running the fast tests only. The others need PostgreSQL and Unix signals: install WSL (wsl --install) and run this again.'
    dotnet test --project tests/UnitTests
    exit $LASTEXITCODE
}
dotnet tool restore
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
dotnet cake @args
exit $LASTEXITCODE
