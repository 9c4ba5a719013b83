#!/bin/sh
# python.sh: prints a Python that has aiosmtpd, the mail server of the tests.
#
# That is SMTP_PYTHON, the one of target/smtp, or one of the system's (Debian: apt-get install python3-aiosmtpd). Where
# none has it, one is made in target/smtp, with aiosmtpd from PyPI. Where that fails it says so and ends with status 1:
# the tests of mail over SMTP are skipped then, or fail with SMTP_TEST=required.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
own=${CARGO_TARGET_DIR:-$root/target}/smtp

for python in "${SMTP_PYTHON:-}" "$own/bin/python" /usr/bin/python3 python3; do
    if [ -n "$python" ] && "$python" -c 'import aiosmtpd' 2>/dev/null; then
        command -v "$python"
        exit 0
    fi
done

if command -v python3 >/dev/null &&
    python3 -m venv "$own" >/dev/null 2>&1 &&
    "$own/bin/python" -m pip install --quiet --disable-pip-version-check aiosmtpd==1.4.6 >/dev/null 2>&1; then
    echo "$own/bin/python"
    exit 0
fi
echo "mail over SMTP is not tested: no Python with aiosmtpd (Debian: apt-get install python3-aiosmtpd)" >&2
exit 1
