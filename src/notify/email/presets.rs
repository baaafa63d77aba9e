//! The relays that small teams use: what to enter, and where to find it. Facts from the providers' own pages
//! on SMTP submission.

use super::MailTls;

/// What a form fills in for one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    pub name: &'static str,
    /// A part in braces is the reader's own.
    pub host: &'static str,
    pub port: u16,
    pub tls: MailTls,
    /// What stands in the field "user name".
    pub username: &'static str,
    pub hint: &'static str,
    /// Where the password is made.
    pub password_page: &'static str,
}

pub const PRESETS: [Preset; 5] = [
    Preset {
        name: "Gmail",
        host: "smtp.gmail.com",
        port: 465,
        tls: MailTls::Tls,
        username: "your full Gmail address",
        hint: "Needs 2-step verification and an app password of 16 letters; your own password is refused. \
               The sender must be your address or one of its aliases. At most 500 messages a day.",
        password_page: "https://myaccount.google.com/apppasswords",
    },
    Preset {
        name: "Amazon SES",
        host: "email-smtp.{region}.amazonaws.com",
        port: 465,
        tls: MailTls::Tls,
        username: "the SMTP user name that SES makes, 20 characters",
        hint: "SMTP credentials are not IAM access keys. Verify the sender; in the sandbox the recipient too.",
        password_page: "https://console.aws.amazon.com/ses/home#/smtp",
    },
    Preset {
        name: "Postmark",
        host: "smtp.postmarkapp.com",
        port: 587,
        tls: MailTls::Starttls,
        username: "the server API token",
        hint: "User name and password are the same server API token. The sender must be a confirmed signature.",
        password_page: "https://account.postmarkapp.com/servers",
    },
    Preset {
        name: "Resend",
        host: "smtp.resend.com",
        port: 465,
        tls: MailTls::Tls,
        username: "resend",
        hint: "The user name is the word resend, the password an API key. The sender's domain must be verified.",
        password_page: "https://resend.com/api-keys",
    },
    Preset {
        name: "Mailgun",
        host: "smtp.mailgun.org",
        port: 465,
        tls: MailTls::Tls,
        username: "postmaster@your Mailgun domain",
        hint: "In the EU region the host is smtp.eu.mailgun.org. The password is the domain's SMTP password, \
               not the API key.",
        password_page: "https://app.mailgun.com/mg/sending/domains",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_uses_the_port_of_its_protection() {
        for preset in PRESETS {
            assert_eq!(preset.port, preset.tls.default_port(), "{}", preset.name);
            assert!(preset.password_page.starts_with("https://"));
        }
    }
}
