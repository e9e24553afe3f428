# Reference numbers for scores as measurements: kappa, the tuned lambda, and means of labels and pseudo-scores.
#
#   Rscript tests/reference/measurement.R
#
# writes measurement/answers.csv, kappa.csv, lambda.csv, means.csv and versions.txt next to this script. Kappas and their
# variances come from vcd, means and their variances from (weighted) lm with clubSandwich and sandwich. The tuned lambda
# is found by numerical search over the variance that sandwich gives, not by its formula.

suppressPackageStartupMessages({library(vcd); library(sandwich); library(clubSandwich)})
options(stringsAsFactors = FALSE)

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
here <- if (length(script)) dirname(script) else "tests/reference"
out_dir <- file.path(here, "measurement")
dir.create(out_dir, showWarnings = FALSE)

write_text <- function(lines, name) {
  connection <- file(file.path(out_dir, name), open = "wb")
  writeLines(lines, connection, sep = "\n")
  close(connection)
}
write_table <- function(data, name, digits = 17) {
  text <- as.data.frame(lapply(data, function(x) {
    if (is.numeric(x)) ifelse(is.na(x), "", sprintf(paste0("%.", digits, "g"), x)) else x
  }))
  write_text(c(paste(names(data), collapse = ","), do.call(paste, c(text, sep = ","))), name)
}

# ---------------------------------------------------------------- data

set.seed(301)
people <- 36
participant <- rep(seq_len(people), times = 1 + (seq_len(people) %/% 3) %% 3)
n <- length(participant)
arm <- c("a1", "a2", "a3")[1 + participant %% 3]
ability <- rnorm(people)[participant]
level <- pmin(pmax(round(2 + ability + rnorm(n, sd = 0.8)), 0), 4)  # 0 to 4
rater <- function(noise) pmin(pmax(round(level + rnorm(n, sd = noise)), 0), 4)
answers <- data.frame(participant, arm, first = rater(0.5), second = rater(0.9))
answers$right <- as.numeric(level > 1)
answers$automatic <- ifelse(runif(n) < 0.85, answers$right, 1 - answers$right)
answers$probability <- ifelse(answers$automatic == 1, 0.4, 0.7)
drawn <- runif(n) < answers$probability
answers$human <- ifelse(drawn, answers$right, NA)
stopifnot(tapply(drawn, arm, sum) > 4)
write_table(answers, "answers.csv", digits = 3)
answers <- read.csv(file.path(out_dir, "answers.csv"))

# ---------------------------------------------------------------- kappa, every answer its own cluster

pair <- table(factor(answers$first, 0:4), factor(answers$second, 0:4))
kappas <- list()
for (scheme in c("none", "linear", "quadratic")) {
  fit <- Kappa(pair, weights = if (scheme == "quadratic") "Fleiss-Cohen" else "Equal-Spacing")
  own <- if (scheme == "none") fit$Unweighted else fit$Weighted
  kappas[[scheme]] <- data.frame(scheme = scheme, estimate = own[["value"]], variance = own[["ASE"]]^2)
}
write_table(do.call(rbind, kappas), "kappa.csv")

# ---------------------------------------------------------------- the tuned lambda

xi <- !is.na(answers$human)
scored <- ifelse(xi, answers$human, 0)
pseudo <- function(lambda) {
  lambda * answers$automatic + (xi / answers$probability) * (scored - lambda * answers$automatic)
}
pooled <- function(lambda) {
  fit <- lm(pseudo(lambda) ~ 0 + arm, data = answers)
  V <- vcovCL(fit, cluster = answers$participant, type = "HC0", cadjust = FALSE)
  sum(V)
}
best <- optimize(pooled, c(-5, 5), tol = 1e-10)
write_table(data.frame(quantity = c("lambda", "variance", "variance_at_0"),
                       value = c(best$minimum, best$objective, pooled(0))), "lambda.csv")

# ---------------------------------------------------------------- means

means_of <- function(method, data, y, w) {
  data$y <- y
  data$w <- w
  fit <- lm(y ~ 0 + arm, data = data, weights = w)
  V <- vcovCR(fit, cluster = data$participant, type = "CR2", target = 1 / w)
  test <- coef_test(fit, vcov = V, test = "Satterthwaite")
  df <- if (is.null(test$df)) test$df_Satt else test$df
  data.frame(method = method, arm = sub("arm", "", names(coef(fit))), estimate = unname(coef(fit)),
             std_error = test$SE, df = df)
}
labelled <- answers[xi, ]
write_table(rbind(
  means_of("labelled", labelled, labelled$human, 1 / labelled$probability),
  means_of("pseudo", answers, pseudo(0.5), rep(1, n))), "means.csv")

info <- sessionInfo()
packages <- c(info$otherPkgs, info$loadedOnly)
versions <- sort(vapply(packages, function(x) paste(x$Package, x$Version), ""))
write_text(c(info$R.version$version.string, paste("platform", info$platform),
             paste("random numbers", paste(RNGkind(), collapse = ", ")), unname(versions)), "versions.txt")
