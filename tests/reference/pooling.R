# Reference numbers for pooling over trials: random effects by Paule and Mandel with Hartung-Knapp intervals.
#
#   Rscript tests/reference/pooling.R
#
# writes pooling/effects.csv, pooled.csv and versions.txt next to this script. metafor gives the mean, the ad hoc
# Hartung-Knapp interval, tau with its Q-profile interval, Q and the prediction interval; I2 from Q is that of its
# DerSimonian-Laird fit. `bcg` are the log risk ratios of metafor's dat.bcg, `schools` Rubin's eight, over 100.

suppressPackageStartupMessages(library(metafor))
options(stringsAsFactors = FALSE)

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
here <- if (length(script)) dirname(script) else "tests/reference"
out_dir <- file.path(here, "pooling")
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

bcg <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
cases <- list(
  two = data.frame(estimate = c(0.118, 0.191), std_error = c(0.018, 0.025)),
  three = data.frame(estimate = c(0.10, 0.16, 0.25), std_error = c(0.02, 0.02, 0.03)),
  alike = data.frame(estimate = c(0.20, 0.21, 0.195, 0.205), std_error = c(0.02, 0.03, 0.025, 0.02)),
  mild = data.frame(estimate = c(0.20, 0.26, 0.17, 0.22, 0.31), std_error = c(0.04, 0.03, 0.05, 0.02, 0.04)),
  schools = data.frame(estimate = c(28, 8, -3, 7, -1, 1, 18, 12) / 100,
                       std_error = c(15, 10, 16, 11, 9, 11, 10, 18) / 100),
  bcg = data.frame(estimate = as.numeric(bcg$yi), std_error = sqrt(as.numeric(bcg$vi))))
effects <- do.call(rbind, lapply(names(cases), function(name) cbind(case = name, cases[[name]])))
write_table(effects, "effects.csv")
effects <- read.csv(file.path(out_dir, "effects.csv"))

# ---------------------------------------------------------------- pooled

pooled <- function(name, level) {
  own <- effects[effects$case == name, ]
  control <- list(tol = 1e-14, maxiter = 10000)
  fit <- rma(yi = own$estimate, sei = own$std_error, method = "PM", test = "adhoc", level = 100 * level, control = control)
  plain <- rma(yi = own$estimate, sei = own$std_error, method = "DL", level = 100 * level)
  normal <- rma(yi = own$estimate, sei = own$std_error, method = "PM", level = 100 * level, control = control)
  profile <- suppressWarnings(confint(fit, control = list(tol = 1e-14, maxiter = 10000)))$random["tau", ]
  k <- nrow(own)
  # Higgins et al. 2009: t with k - 2 degrees of freedom, here about the Hartung-Knapp standard error.
  ahead <- if (k > 2) qt((1 + level) / 2, k - 2) * sqrt(fit$tau2 + fit$se^2) else NA
  empty <- fit$QE < qchisq((1 - level) / 2, k - 1)
  data.frame(case = name, level = level, k = k, estimate = as.numeric(fit$beta), std_error = fit$se,
             lower = fit$ci.lb, upper = fit$ci.ub, normal_lower = normal$ci.lb, normal_upper = normal$ci.ub,
             tau = sqrt(fit$tau2), tau_lower = if (empty) NA else profile[["ci.lb"]],
             tau_upper = if (empty) NA else profile[["ci.ub"]], i2 = plain$I2 / 100, q = fit$QE, q_p = fit$QEp,
             prediction_lower = as.numeric(fit$beta) - ahead, prediction_upper = as.numeric(fit$beta) + ahead)
}
write_table(do.call(rbind, c(lapply(names(cases), pooled, level = 0.95), list(pooled("mild", 0.90)))), "pooled.csv")

info <- sessionInfo()
packages <- c(info$otherPkgs, info$loadedOnly)
versions <- sort(vapply(packages, function(x) paste(x$Package, x$Version), ""))
write_text(c(info$R.version$version.string, paste("platform", info$platform), unname(versions)), "versions.txt")
